"""Google's Cloud Vision as a named machine annotator whose votes are weak.

plan (what is to be sent) --> labels (asks, keeps each answer) --> match (from labels to yes, no or unsure)
 cost                          client, images
"""
