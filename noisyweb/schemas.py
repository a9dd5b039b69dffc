"""The tables: one pyarrow schema constant each, documented column by column.

A question is always "is this image a <class>?", so its key is (image_id, label): the same bytes found
under two class names are two questions. An image id is the SHA-256 (hex) of the encoded bytes.
"""

from __future__ import annotations

import pyarrow as pa

_PROVENANCE = [
    pa.field("url", pa.string()),  # where the image was
    pa.field("landing_url", pa.string()),  # the page that shows it
    pa.field("creator", pa.string()),
    pa.field("license", pa.string()),  # by, by-sa, cc0, ...; as the provider says it
    pa.field("license_url", pa.string()),
    pa.field("attribution", pa.string()),  # a ready-made credit line
]
PROVENANCE_COLUMNS = tuple(field.name for field in _PROVENANCE)

CANDIDATES = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),  # key, with label
        pa.field("label", pa.int32(), nullable=False),  # class searched for
        pa.field("provider", pa.string(), nullable=False),
        pa.field("query", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),  # 0 = first hit of the query
        pa.field("provider_id", pa.string()),  # the provider's own id of the image
        pa.field("title", pa.string()),
        *[field for field in _PROVENANCE if field.name != "url"],
        pa.field("width", pa.int32()),  # pixels, as the provider says
        pa.field("height", pa.int32()),
    ]
)
"""Search hits, not yet fetched. Key: (url, label)."""

SEARCHES = pa.schema(
    [
        pa.field("label", pa.int32(), nullable=False),  # key, with provider, query and filters
        pa.field("provider", pa.string(), nullable=False),
        pa.field("query", pa.string(), nullable=False),
        pa.field("filters", pa.string(), nullable=False),  # licences and address asked for; "" for none
        pa.field("status", pa.string(), nullable=False),  # open | exhausted | failed
        pa.field("reason", pa.string()),  # why it failed
        pa.field("num_hits", pa.int32(), nullable=False),  # hits taken from it so far
        pa.field("num_unlicensed", pa.int32(), nullable=False),  # of these, dropped by the licence filter
        pa.field("cursor", pa.string()),  # asks for the page that it stands in; null: the first
        pa.field("offset", pa.int32(), nullable=False),  # hits taken from that page
    ]
)
"""How far each search has come. Key: (label, provider, query, filters)."""

IMAGES = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),  # key, with label
        pa.field("label", pa.int32(), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # ok | failed
        pa.field("reason", pa.string()),  # why it failed: http-404, timeout, not-an-image, ...
        pa.field("retry", pa.bool_(), nullable=False),  # the reason may pass: the next crawl tries again
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("http_status", pa.int32()),
        pa.field("detail", pa.string()),  # what decided: the header, the robots.txt rule, the archive's date, ...
        pa.field("final_url", pa.string()),  # where it was found, if not at url: redirects followed, or an archive
        pa.field("etag", pa.string()),  # for asking again whether it has changed
        pa.field("last_modified", pa.string()),
        pa.field("image_id", pa.string()),  # SHA-256 of the stored bytes; null unless ok
        pa.field("fetched_id", pa.string()),  # SHA-256 of the bytes as they came
        pa.field("changes", pa.string()),  # how the stored image differs: first-frame, upright, srgb, ...; null: not
        pa.field("num_bytes", pa.int64()),
        pa.field("width", pa.int32()),  # pixels, decoded
        pa.field("height", pa.int32()),
        pa.field("format", pa.string()),  # jpeg, png, webp, gif
    ]
)
"""What became of each candidate. Key: (url, label)."""

HASHES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # key
        pa.field("phash", pa.binary(32)),  # 256-bit imagehash.phash; null: unreadable
        pa.field("flat", pa.bool_()),  # too little structure for the hash to mean anything
    ]
)
"""Perceptual hashes, kept so that nothing is hashed twice. Key: image_id."""

DHASHES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # key
        pa.field("dhash", pa.binary(32)),  # 256-bit imagehash.dhash; null: unreadable
        pa.field("flat", pa.bool_()),
    ]
)
"""Difference hashes, for those who asked for them. Key: image_id."""

VIEWS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # key
        pa.field("probes", pa.binary()),  # 8 bytes a probe; null: flat or unreadable
        pa.field("targets", pa.binary()),  # 8 bytes a target view
        pa.field("inner", pa.float32()),  # share of the picture that its plain borders leave, 0..1; null: not known
    ]
)
"""Hashes of parts of images, by which cropped, mirrored and rotated copies are found. Key: image_id."""

EMBEDDINGS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # key, with model
        pa.field("model", pa.string(), nullable=False),  # as the user named it
        pa.field("vector", pa.binary()),  # half precision, little-endian, of length 1; null: unreadable
    ]
)
"""What a user's model says of images. Key: (image_id, model)."""

DUPLICATES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # the image that is dropped
        pa.field("label", pa.int32(), nullable=False),
        pa.field("kept_id", pa.string(), nullable=False),  # the image kept in its place
        pa.field("kept_label", pa.int32()),  # null for a clean image
        pa.field("kind", pa.string(), nullable=False),  # one of DUPLICATE_KINDS
        pa.field("distance", pa.int32()),  # bits of 256: between the hashes, or the pictures laid over each other
        pa.field("agreement", pa.float32()),  # share of the pictures that agrees when laid over; embeddings: cosine
        pa.field("against", pa.string(), nullable=False),  # web | train | validation
    ]
)
"""Images dropped as duplicates or leaks; nothing is deleted. Key: (image_id, label)."""

DUPLICATE_KINDS = ("exact", "near", "crop", "pad", "mirror", "rotate", "embedding", "unreadable")
"""How an image was made of the one that is kept: its bytes, resized or recompressed and the like, ..."""

CLEAN_DUPLICATES = pa.schema(
    [
        pa.field("train_id", pa.string(), nullable=False),  # key
        pa.field("train_name", pa.string(), nullable=False),  # as the source names it
        pa.field("validation_id", pa.string(), nullable=False),
        pa.field("validation_name", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # one of DUPLICATE_KINDS
        pa.field("distance", pa.int32()),
        pa.field("agreement", pa.float32()),
    ]
)
"""Clean train images that are also validation images: the clean set's own leaks. Key: train_id."""

VOTES = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),  # the class that was asked about
        pa.field("annotator", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),  # yes | no | unsure
        pa.field("backend", pa.string(), nullable=False),  # where the vote came from
        pa.field("is_weak", pa.bool_()),  # a machine's guess, not enough for a verdict; null: no
        pa.field("seconds", pa.float32()),  # from seeing the image to answering; null: not measured
        pa.field("answered_at", pa.timestamp("ms", tz="UTC")),  # null: not told
    ]
)
"""One annotator's answer to "is this a <class>?". Key: (image_id, label, annotator)."""

VISION_LABELS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),  # key
        pa.field(
            "labels",  # as Cloud Vision gave them, best first; null: it gave none, see error
            pa.list_(
                pa.struct(
                    [
                        pa.field("mid", pa.string()),  # Knowledge Graph id; may be empty
                        pa.field("description", pa.string()),  # in English
                        pa.field("score", pa.float32()),  # 0..1
                        pa.field("topicality", pa.float32()),
                    ]
                )
            ),
        ),
        pa.field("error", pa.string()),  # why there are no labels: google.rpc code and message, or not-an-image, ...
        pa.field("retry", pa.bool_(), nullable=False),  # the error may pass: the next run sends the image again
        pa.field("model", pa.string()),  # the model that was asked; null: the image was not sent
        pa.field("answered_at", pa.string(), nullable=False),  # UTC, ISO 8601
    ]
)
"""What Cloud Vision's label detection said of images, kept since it is paid for. Key: image_id."""

ANSWERS = ("yes", "no", "unsure")

KNOWN = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),  # yes | no
    ]
)
"""Clean images whose answer is known, hidden among the questions to measure annotators. Key: (image_id, label)."""

VERDICTS = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("is_clean", pa.bool_()),  # null: undecided
        pa.field("votes_yes", pa.int32(), nullable=False),  # weak ones are in these three only where they count
        pa.field("votes_no", pa.int32(), nullable=False),
        pa.field("votes_total", pa.int32(), nullable=False),  # with the unsure ones
        pa.field("agreement", pa.float32()),  # share of decisive votes with the majority, 0.5..1; null: none
        pa.field("status", pa.string(), nullable=False),  # decided | undecided
        pa.field("reason", pa.string()),  # tie, too few votes
        pa.field("posterior", pa.float32()),  # probability that the image is what was asked, 0..1; null: not known
        pa.field("method", pa.string()),  # the consensus method that decided
    ]
)
"""The consensus of an image's votes. Key: (image_id, label)."""

SOURCE_NAMES = ("clean", "web", "other")

NOISE_NAMES = ("none", "web", "symmetric", "pair", "confusion", "instance", "open-set", "human")

IMAGE_TYPE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])

MANIFEST = pa.schema(
    [
        pa.field("image_id", pa.string()),  # SHA-256, or the source's own id, prefixed
        pa.field("image", IMAGE_TYPE),  # encoded bytes (or null) and path, as Hugging Face does
        pa.field("label", pa.int64()),  # what the trainer sees
        pa.field("is_clean", pa.bool_()),  # is that label right
        pa.field("true_label", pa.int64()),  # null: outside the vocabulary, or nobody knows
        pa.field("noise", pa.string()),  # one of NOISE_NAMES
        pa.field("source", pa.string()),  # clean | web | other: of another data set
        *_PROVENANCE,
        pa.field("votes_yes", pa.int32()),
        pa.field("votes_total", pa.int32()),
    ]
)
"""One row per training image. Frozen: others build on it (docs/manifest-format.md).

Labels are int64 and no field is marked as required, because Hugging Face takes class names and image types from a
Parquet file only where its types are exactly those of its own features.
"""
