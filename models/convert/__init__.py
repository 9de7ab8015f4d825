"""Converters from published weights to the ONNX files that the server loads.

Each converter is a plain function from source files to a `ModelProto` and depends on nothing but its input, so that the bytes of
its result can be pinned by digest.
"""
