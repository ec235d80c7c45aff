"""The GPU oracle: small PTX programs for every instruction form, run once on a GPU, compared with the CPU device in CI.

`forms.py` collects the table rows of the family files, `samples.py` makes their inputs, `record.py` asks a GPU,
`test_oracle.py` asks the CPU device. Nothing here knows how the CPU device computes.
"""
