# SPDX-License-Identifier: Apache-2.0
"""Limits on what comes from outside, in one place, so that no file takes a robot's memory or time.

A file of less than 1 MB never takes 1 GB of memory: sizes that a file only claims are checked before
memory is taken, and what can grow while it is read (compressed data, aliases, holes) has a limit.
"""

from __future__ import annotations

# Maps, encoders and indexes of atlases: larger than any place of hundreds of chunks.
MAX_TENSOR_FILE_BYTES = 1 << 31
# The JSON in front of the tensors: a map of 4096 chunks takes 14 MB.
MAX_TENSOR_HEADER_BYTES = 1 << 25
# What a tensor file may have in holes, which take no disk and all of the memory; ours have none.
MAX_HOLE_BYTES = 1 << 26
# ACE's checkpoint: ten times the size of the published one, unpacked.
MAX_CHECKPOINT_BYTES = 1 << 28

# Objects and lists within each other in JSON and YAML: ours have 5, and Python's own parsers give up at
# about 300.
MAX_DEPTH = 32
# Whole numbers in JSON: stamps in nanoseconds and checksums have 64 bits.
MAX_WHOLE = 1 << 64
# Values in YAML, those behind aliases counted every time: a calibration has 100.
MAX_YAML_VALUES = 100_000
# A calibration or one pose as text.
MAX_TEXT_BYTES = 1 << 16
# Options, and the metadata of a bag: YAML is parsed at 100 kB a second.
MAX_CONFIG_BYTES, MAX_BAG_METADATA_BYTES = 1 << 18, 1 << 22
# transforms.json: 100,000 images.
MAX_JSON_BYTES = 1 << 26
# Tables of data sets: poses of two hours at 100 Hz.
MAX_TABLE_BYTES = 1 << 26
# A line of frames.jsonl, of a place in an atlas, of a table, and of the points of an image of COLMAP's,
# which may be tens of thousands.
MAX_NOTE_BYTES, MAX_PLACE_BYTES, MAX_LINE_BYTES, MAX_POINTS_LINE_BYTES = 1 << 12, 1 << 16, 1 << 14, 1 << 24
# Digits and letters of a number in text: a float printed in full has 24.
MAX_NUMBER_LENGTH = 64
# Images or cameras of a data set.
MAX_IMAGES = 1_000_000
# Of an image's sides, where a text claims them.
MAX_SIDE = 1 << 16
# How far from the origin a camera may be, in metres: UTM has 1e7.
MAX_POSITION_M = 1e9

# Bags: a chunk or message unpacked; and all of them together, as a multiple of the bag's size and what
# a small bag may take at least. Real images shrink to a tenth.
MAX_UNPACKED_BYTES = 1 << 27
MAX_UNPACKED_RATIO, MIN_UNPACKED_BUDGET_BYTES = 200, 1 << 28

# Images. Their size is that of the header, which is read before anything is decoded: 67 megapixels, where
# the largest cameras of robots have 20 to 30; and one side 16 times the other, for the networks see
# the shorter at 480 pixels.
MAX_IMAGE_PIXELS, MAX_IMAGE_SIDE, MAX_IMAGE_ASPECT = 1 << 26, 1 << 15, 16
# Of an image file or a compressed image, and of its pixels: four channels of 16 bits take eight bytes.
MAX_IMAGE_BYTES, MAX_DECODED_BYTES = 1 << 27, 1 << 28
# No deflate stream decodes to more bytes for each of its own. A block of 64 pixels of a JPEG takes a bit
# or more in its first scan.
MAX_PNG_RATIO, MAX_JPEG_RATIO = 1032, 1024
# Each scan of a progressive JPEG goes over the whole image; photographs have ten.
MAX_JPEG_SCANS = 100
