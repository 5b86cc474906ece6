"""Orders in, results out: HL7 version 2 messages and the MLLP connection that carries them.

Knows nothing of the service above it: every module takes plain arguments and reads no environment.
"""
