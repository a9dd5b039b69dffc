"""Audit: what noise is really in a training set, of any origin, and what is wrong with it.

One file a reader (`read_manifests`, `read_release`, `read_labels`), all of which give an `AuditInput` (`rows`);
`checks` look at it and give findings; `report` says them, `plot` draws asked against realised noise.

`noisyweb.verify` proves that a build of ours is what its lock file says; an audit asks whether a set is what it claims.
"""
