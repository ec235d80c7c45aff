"""The kit for writing one's own async kernel: the device runtime (``runtime/``, a Rust crate) and the build.

`compiler` turns a crate into PTX text, `ptxtext` finishes it, `gates` refuse what must not run. Nothing here needs the
rest of the package, or a GPU; docs/write-a-kernel.md is the way through.
"""
