"""Files of any bytes given to everything that reads files: each must end in a result or in an error of ours.

Inputs are made from small real files (`corpus`) by changes that know nothing (`mutate`) and by changes that
know the format (`words`, `wires`, `containers`), so that they get past its first check. A number and a seed
name an input for ever. They are read in forked processes with limits of time and memory (`trial`).
"""
