"""The server of `cam serve`: the live page, and a small HTTP interface under it for programs.

A request passes through the files in this order: `connections` (its arrival, in time and size),
`access` (who may ask: Host, Origin, token), `application` (the routes), `uploads` (the body, in
memory only), `workers` (a bounded queue before a few threads), `models` (networks, opened once)
and `answers` (what is made of the picture). `limits` has all limits, `running` starts and stops it.
"""
