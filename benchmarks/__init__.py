"""How fast it is, and how much memory it takes; run from a checkout.

``python -m benchmarks`` measures one picture beside other programs: `side_by_side` lets the
`contestants` take turns on one `workload`, with `rivals` and `matrix_products` for what is not the
project's own, and `report` writes what `summary` says of the `timing`. ``python -m
benchmarks.batch`` measures many pictures, ``python -m benchmarks.engine`` the engines alone.
"""
