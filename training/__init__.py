"""Training on manifests: methods, models, the loop and recipes. The only part that needs torch to import."""
