"""What the tests of pages have in common."""

import pytest

HOSTILE = "<script>document.body.dataset.broken = 'yes'</script>"


def wait_until(page, condition):
    """Playwright's own waiting evaluates text, which the page's content security policy forbids."""
    for _ in range(150):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never true within 15 s: {condition}")


def current_time(page):
    """Where the video stands, once it has got there."""
    wait_until(page, "!document.getElementById('video').seeking")
    return page.evaluate("document.getElementById('video').currentTime")
