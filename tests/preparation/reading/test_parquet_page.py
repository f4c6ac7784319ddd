"""Page headers, as pyarrow writes them and as nobody should."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.reading.parquet_pages import NotAPage, PageHeader, parse_page_header

# The parquet.thrift example of a v1 data page: type 0, 10 and 8 bytes, header {values 3, encoding PLAIN, levels RLE}.
DATA_PAGE = bytes.fromhex("15001514151 02c 1506 1500 1506 1506 00 00".replace(" ", ""))


def test_a_data_page_by_hand() -> None:
    assert parse_page_header(DATA_PAGE + b"rest") == PageHeader(
        is_dictionary=False, is_data=True, uses_dictionary=False, values=3, uncompressed=10, compressed=8, header=17
    )


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
@pytest.mark.parametrize("dictionary", [True, False])
@pytest.mark.parametrize("statistics", [True, False])
def test_headers_lead_from_page_to_page(
    tmp_path: Path, version: str, compression: str, dictionary: bool, statistics: bool
) -> None:
    """All pages of a chunk are found, and their sizes add up to what pyarrow says of the chunk."""
    path = tmp_path / "a.parquet"
    texts = [f"document {i} " * (i % 50) for i in range(9000)]
    pq.write_table(
        pa.table({"text": texts}), path, data_page_version=version, compression=compression, use_dictionary=dictionary,
        write_statistics=statistics, data_page_size=20_000, dictionary_pagesize_limit=50_000,
    )  # fmt: skip
    chunk = pq.read_metadata(path).row_group(0).column(0)
    data = path.read_bytes()
    at = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
    start, values, uncompressed, pages = at, 0, 0, []
    while values < chunk.num_values:
        page = parse_page_header(data[at : at + 5000])
        pages.append(page)
        at += page.header + page.compressed
        uncompressed += page.header + page.uncompressed
        values += page.values if page.is_data else 0
    assert values == chunk.num_values
    assert at - start == chunk.total_compressed_size
    assert uncompressed == chunk.total_uncompressed_size
    assert [page.is_dictionary for page in pages] == [dictionary, *[False] * (len(pages) - 1)]
    assert pages[1].uses_dictionary == dictionary
    assert not pages[-1].uses_dictionary  # the dictionary was full


@given(st.binary(max_size=60))
def test_any_bytes_give_a_header_or_not_a_page(data: bytes) -> None:
    try:
        page = parse_page_header(data)
    except NotAPage:
        return
    assert 0 < page.header <= len(data)
    assert min(page.uncompressed, page.compressed, page.values) >= 0


@pytest.mark.parametrize("size", range(17))
def test_a_header_that_is_cut_off(size: int) -> None:
    with pytest.raises(NotAPage):
        parse_page_header(DATA_PAGE[:size])
