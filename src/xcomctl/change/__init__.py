"""What the phases mean in steps: how a deployment is changed."""
