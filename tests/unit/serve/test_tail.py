from inferry_runtime.serve.tail import LINE_CHARACTERS, LINES, Tail


def fed(*chunks: bytes) -> Tail:
    tail = Tail()
    for chunk in chunks:
        tail.feed(chunk)
    return tail


def test_a_line_in_pieces_is_one_line() -> None:
    assert fed(b"hel", b"lo\nwor", b"ld\n").lines == ("hello", "world")


def test_a_line_without_an_end_is_seen_too() -> None:
    tail = fed(b"done\nSegmentation fau")
    assert tail.lines == ("done", "Segmentation fau")
    assert tail.last == "done"


def test_each_step_of_a_progress_bar_replaces_nothing_and_loses_nothing() -> None:
    assert fed(b" 10%|#\r 20%|##\r\nready\n").lines == (" 10%|#", " 20%|##", "ready")


def test_bytes_that_are_no_text_and_colours_do_no_harm() -> None:
    assert fed(b"\x1b[31merror\x1b[0m \xff\xfe \x00\n").lines == ("error �� \x00",)


def test_a_character_cut_in_two_is_whole_again() -> None:
    snowman = "☃".encode()
    assert fed(snowman[:1], snowman[1:] + b"\n").lines == ("☃",)


def test_only_the_last_lines_are_kept() -> None:
    lines = fed(*(b"%d\n" % number for number in range(LINES + 5))).lines
    assert (len(lines), lines[0]) == (LINES, "5")


def test_output_without_any_line_end_does_not_grow() -> None:
    lines = fed(*(b"x" * 100_000 for _ in range(50))).lines
    assert [len(line) for line in lines] == [LINE_CHARACTERS]
