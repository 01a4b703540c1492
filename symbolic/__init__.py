if __name__ == "symbolic":
    raise ImportError("this package is imported as `gnsim.symbolic`, not as `symbolic`")

__doc__ = "From messages to a law: expressions, engines of symbolic regression, and the `Law`."
