"""The command line: one module for each command of `fcn`, each with `arguments(prog)` and `main(argv, prog)`.

Only these print.
"""
