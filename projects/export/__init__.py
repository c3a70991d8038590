"""Models as ONNX files of standard operators, and ONNX files as models."""
