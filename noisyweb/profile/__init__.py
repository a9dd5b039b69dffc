"""The noise profile: the paper's three differences between web noise and synthetic noise, measured on a manifest.

manifest --rows--> labels, sample --looks--> vectors --nearness--> how near each image is to each class --> measures

One file a measure: `likeness` (do wrong images look like their label), `names` (do the names), `votes` and `pictures`
(do errors depend on the image), `vocabulary` (what lies outside the classes). docs/profile.md has the formulas.
"""

from noisyweb.profile.measure import Measure, Profile
from noisyweb.profile.run import manifests_in, profile

__all__ = ["Measure", "Profile", "manifests_in", "profile"]
