"""The layout of disks and volumes: no witness is ever torn, and an image's bytes are kept."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.compute.drivers.disk import (
    BLANK,
    BOOTS_KEPT,
    SLOT_BYTES,
    WITNESS_BYTES,
    Boot,
    DiskMaker,
    DiskWitness,
    Page,
    read_page,
    write_page,
)

counters = st.integers(0, 2**64 - 1)
witnesses = st.builds(
    DiskWitness,
    counter=counters,
    boots=st.lists(
        st.builds(Boot, host=st.sampled_from(["h1", "h2"]), permit=counters, number=counters), max_size=3
    ).map(tuple),
    image=st.sampled_from(["", "cirros"]),
    writer=st.sampled_from(["", "server"]),
)


def made(image: str, chunks: list[bytes]) -> bytes:
    maker = DiskMaker(image)
    return b"".join([maker.feed(chunk) for chunk in chunks] + [maker.finish()])


@given(st.lists(witnesses, min_size=1, max_size=5), st.integers(0, SLOT_BYTES))
def test_a_torn_write_leaves_the_witness_before(history: list[DiskWitness], torn_at: int) -> None:
    """Of the last write any number of bytes may have reached the disk: the last witness is read, or the one before."""
    content, page = bytearray(WITNESS_BYTES), BLANK
    for witness in history[:-1]:
        page = page.after(witness)
        write_page(content, page)
    torn, before, page = bytearray(content), page, page.after(history[-1])
    write_page(content, page)
    data = page.encode()[:torn_at]
    torn[page.offset : page.offset + len(data)] = data
    assert read_page(content) == page
    found = read_page(torn) or BLANK
    assert found in (page, before)
    assert found == page or len(data) < len(page.encode())


def test_a_write_torn_inside_the_counter_is_no_witness() -> None:
    """Wherever a write is cut off, two counters of one length never mix into a third."""
    content, pages = bytearray(), [BLANK]
    for counter in (1111, 2222, 3333):
        pages.append(pages[-1].after(DiskWitness(counter=counter)))
        write_page(content, pages[-1])
    last = pages[-1].after(DiskWitness(counter=4444))
    data = last.encode()
    for torn_at in range(len(data)):
        torn = bytearray(content)
        torn[last.offset : last.offset + torn_at] = data[:torn_at]
        assert read_page(torn) in (pages[-1], last)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_a_fresh_disk_is_the_image_behind_a_witness(image: bytes, cuts: list[int]) -> None:
    """However the download is cut into chunks, the image's bytes follow the block, which tells the image's name."""
    at = [0, *sorted(cuts), len(image)]
    disk = made("cirros", [image[start:end] for start, end in pairwise(at)])
    assert disk[WITNESS_BYTES:] == image
    assert read_page(disk) == Page(1, DiskWitness(image="cirros"))


@given(witnesses, st.binary(max_size=50), st.integers(1000, 2 * WITNESS_BYTES), st.integers(1, 2**40))
def test_a_disk_made_from_a_snapshot_continues(witness: DiskWitness, data: bytes, size: int, serial: int) -> None:
    """Counter, boots and data are the snapshot's; only the image's name is new."""
    snapshot = bytearray(WITNESS_BYTES) + data
    write_page(snapshot, Page(serial, witness))
    chunks = [bytes(snapshot[start : start + size]) for start in range(0, len(snapshot), size)]
    disk = made("snapshot", chunks)
    page = read_page(disk)
    assert page is not None
    assert (page.witness.counter, page.witness.boots, page.witness.writer) == (
        witness.counter,
        witness.boots,
        witness.writer,
    )
    assert page.witness.image == "snapshot"
    assert disk[WITNESS_BYTES:] == data


@given(st.binary(max_size=300))
def test_bytes_that_are_no_witness_are_none(noise: bytes) -> None:
    """Whatever is in a block, it is a witness of ours or nothing, and reading it never fails."""
    assert read_page(noise) is None
    page = BLANK.after(DiskWitness(counter=1)).encode()
    assert read_page(page[:8] + noise) is None


@pytest.mark.parametrize(
    "text",
    [
        b"5",
        b"{}",
        b"[" * 10_000,
        b'{"counter":"5","boots":[],"image":"","writer":""}',
        b'{"counter":-1,"boots":[],"image":"","writer":""}',
        b'{"counter":1,"boots":[["../h",1,1]],"image":"","writer":""}',
        b'{"counter":1,"boots":[["h",1]],"image":"","writer":""}',
        b'{"counter":1,"boots":[],"image":["x"],"writer":""}',
        b'{"counter":1' + b"0" * 5_000 + b',"boots":[],"image":"","writer":""}',
        b'{"counter":1,"boots":[' + b",".join([b'["h",1,1]'] * 100) + b'],"image":"","writer":""}',
    ],
)
def test_an_image_that_feigns_a_witness_is_a_fresh_image(text: bytes) -> None:
    """A stranger's image with a well sealed block of nonsense is taken as it is, and makes a disk that can boot."""
    head = struct.pack(">8sQI", b"cfwitn01", 1, len(text))
    image = (head + struct.pack(">I", zlib.crc32(text, 1)) + text).ljust(WITNESS_BYTES * 2, b"x")
    disk = made("cirros", [image])
    assert disk[WITNESS_BYTES:] == image
    assert read_page(disk) == Page(1, DiskWitness(image="cirros"))


def test_only_the_last_boots_are_kept_and_all_are_numbered() -> None:
    """The block has room for the longest names, and the number of the last boot tells how many there were."""
    witness = DiskWitness(counter=2**64 - 1, image="x" * 128, writer="x" * 128)
    for _ in range(BOOTS_KEPT + 10):
        witness = witness.booted(host="h" * 128, permit=2**64 - 1)
    assert len(witness.boots) == BOOTS_KEPT
    assert witness.boots_total == BOOTS_KEPT + 10
    content = bytearray()
    write_page(content, BLANK.after(witness))
    page = read_page(content)
    assert page is not None
    assert page.witness == witness
