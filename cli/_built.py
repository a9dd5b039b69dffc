"""What a build says of itself, printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noisyweb.build_folder import Built


def summary(built: Built) -> str:
    """What was built, in a few lines."""
    by_kind = ", ".join(f"{name} {count:,}" for name, count in sorted(built.noise.items()) if name != "none")
    paths = built.num_rows - built.with_bytes
    lines = [
        f"{built.folder}: {built.num_rows:,} images, {built.num_wrong:,} wrong (asked {built.num_wrong_asked:,}"
        + (f" = {built.info['level']}" if built.info["split"] == "train" else "")
        + f", realised {built.num_wrong / max(built.num_rows, 1):.4%}"
        + (f"; {by_kind}" if by_kind else "")
        + f"), {built.seconds:.1f} s"
    ]
    if paths:
        lines.append(f"  {paths:,} rows carry a path only, no image")
    if built.certainty is not None:
        lines.append(f"  {built.certainty}")
    lines += [f"  {note}" for note in built.notes]
    return "\n".join(lines)
