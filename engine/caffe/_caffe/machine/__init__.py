"""Machine code: vectors and kernels that Numba compiles, and the threads that run them. Needs numba."""
