"""What tests share: real programs started and stopped, and waiting for a condition."""
