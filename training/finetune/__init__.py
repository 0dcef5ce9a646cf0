"""Fine-tuning: one YAML recipe in, one run folder out (adapter, resolved recipe, losses, card)."""
