"""The command line: one module for each command of `fcn`, each with `main(argv, prog)`. Only these print."""
