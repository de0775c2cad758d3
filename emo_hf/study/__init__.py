"""Many runs: the grid, where they run, what they are compared with."""
