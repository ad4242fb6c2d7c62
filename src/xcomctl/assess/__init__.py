"""What a deployment's contexts amount to together: pre-flight, drift."""
