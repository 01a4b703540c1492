"""What an accepted law leaves over, searched for a correction: pair forces linear in couplings."""
