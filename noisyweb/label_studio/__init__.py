"""Label Studio, a labelling server of one's own: questions go there as tasks, annotations come back as votes."""
