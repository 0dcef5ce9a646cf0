"""From ratings to the next adapter: pairs for DPO, labels for KTO, and the study that tests what came out."""
