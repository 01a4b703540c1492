"""One file a command, each thin over the library, which it imports inside its function."""
