"""Images in, reports out: DICOM over the network, read, rendered, and written as structured reports.

Knows nothing of the service above it: every module takes plain arguments and reads no environment.
"""
