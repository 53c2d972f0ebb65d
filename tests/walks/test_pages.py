"""The blocks of tutorials and how-to pages are read as their reader types them; what a walk skips says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.walks.pages import blocks

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([*(DOCS / "tutorials").glob("*.md"), *(DOCS / "how-to").glob("*.md")])

PAGE = """
<!-- run: --updates 300 -> --updates 3 -->
<!-- exit: 2 -->

```bash
neuroanp train --updates 300
```

```text
not run
```

- in a list

    ```yaml title="own/task.yaml"
    task: copy

    seed: 1
    ```

<!-- not run: needs a cluster -->
```python
na.compare()
```
"""


def test_fences_titles_and_comments_say_what_is_done(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    one, two, three = blocks(page)
    assert (one.language, one.text, one.small) == (
        "bash", "neuroanp train --updates 300\n", "neuroanp train --updates 3\n"
    )  # fmt: skip
    assert (one.line, one.code, one.title, one.skipped) == (5, 2, None, None)
    assert (two.title, two.text) == ("own/task.yaml", "task: copy\n\nseed: 1\n")
    assert (three.language, three.skipped) == ("python", "needs a cluster")


@pytest.mark.parametrize("comment", ["run: --updates 5 -> 1", "rum: a -> b"])
def test_a_comment_that_fits_nothing_is_refused(tmp_path, comment):
    page = tmp_path / "page.md"
    page.write_text(f"<!-- {comment} -->\n```bash\nneuroanp train\n```\n")
    with pytest.raises(ValueError, match=r"page.md:2"):
        blocks(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_can_be_walked(page):
    """Comments fit, no placeholder is left, and hardly a block is left out."""
    found = blocks(page)
    whole = page.read_text(encoding="utf-8")
    assert whole.startswith("# ")
    assert "\nOUT\n" not in whole
    assert whole.count("```") % 2 == 0
    assert sum(block.skipped is not None for block in found) <= max(2, len(found) // 4)
