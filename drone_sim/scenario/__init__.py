"""What happens in a simulation: drawn from a seed, or written by a person."""
