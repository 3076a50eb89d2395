"""What section `crawl` of params.yaml may hold."""

from typing import Annotated

from pydantic import Field, StringConstraints

from ocrtune.params.load import Section

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/\s]+\S*$")]
Domain = Annotated[str, StringConstraints(pattern=r"^[^/:\s]+$")]


class CrawlParams(Section):
    """Where documents come from, and how far and how gently the crawler goes."""

    folder: str = Field(description="folder of documents, saved web site or single file", min_length=1)
    urls: list[Url] = Field(description="further seeds, http or https")
    max_pages: int = Field(description="URLs asked for at most, HTML pages and documents alike", ge=1)
    max_depth: int = Field(description="links followed from a seed at most", ge=0)
    allowed_domains: list[Domain] = Field(description="hosts, with their subdomains; empty: those of the urls")
    obey_robots: bool = Field(description="whether robots.txt is obeyed")
    embedded_images: bool = Field(description="whether <img> pictures become documents, as linked ones do")
    delay_s: float = Field(description="pause between two requests to a host, seconds", ge=0)
    concurrent_requests: int = Field(description="requests in flight", ge=1, le=64)
    timeout_s: float = Field(description="patience for one response, seconds", gt=0)
    max_bytes: int = Field(description="largest response taken, after decompression", ge=1)
    user_agent: str = Field(description="who we say we are; robots.txt rules are looked up by it", min_length=1)


SCHEMAS = {"crawl": CrawlParams}
