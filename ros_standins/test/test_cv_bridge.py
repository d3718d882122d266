# SPDX-License-Identifier: Apache-2.0
"""cv_bridge: images to arrays and back, against OpenCV's own conversions.

What converts into what, and by which OpenCV code, is the published table of vision_opencv's
cv_bridge/src/cv_bridge.cpp (getConversionCodes); the other cases follow its cv_bridge/test/utest.cpp,
conversions.py and enumerants.py.
"""

import array

import cv2
import numpy as np
import pytest
from cv_bridge import CvBridge, CvBridgeError
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

BRIDGE = CvBridge()
CODES = {"mono": "GRAY", "rgb": "RGB", "bgr": "BGR", "rgba": "RGBA", "bgra": "BGRA"}
BAYER = {"rggb": "BG", "bggr": "RG", "gbrg": "GR", "grbg": "GB"}
ORDERS = {"yuv422": "UYVY", "yuv422_yuy2": "YUY2"}
TABLE = {(old, new): f"{CODES[old]}2{CODES[new]}" for old in CODES for new in CODES if old != new}
TABLE |= {
    (f"bayer_{old}", new): f"Bayer{BAYER[old]}2{CODES[new]}" for old in BAYER for new in list(CODES)[:3]
}
YUV = {(old, new): f"YUV2{CODES[new]}_{ORDERS[old]}" for old in ORDERS for new in CODES}


def message_of(encoding):
    """Return an image message of random pixels and its array."""
    dtype, channels = BRIDGE.encoding_to_dtype_with_channels(encoding)
    shape = (6, 8) if channels == 1 else (6, 8, channels)
    pixels = np.random.default_rng(0).integers(0, 256 if dtype == "uint8" else 65536, shape).astype(dtype)
    return BRIDGE.cv2_to_imgmsg(pixels, encoding), pixels


@pytest.mark.parametrize(("pair", "code"), TABLE.items())
@pytest.mark.parametrize("bits", [8, 16])
def test_colours_convert_as_opencv_converts_them(pair, code, bits):
    message, pixels = message_of(f"{pair[0]}{bits}")
    found = BRIDGE.imgmsg_to_cv2(message, f"{pair[1]}{bits}")
    np.testing.assert_array_equal(found, cv2.cvtColor(pixels, getattr(cv2, f"COLOR_{code}")))


@pytest.mark.parametrize(("pair", "code"), YUV.items())
def test_yuv_images_convert_as_opencv_converts_them(pair, code):
    message, pixels = message_of(pair[0])
    found = BRIDGE.imgmsg_to_cv2(message, f"{pair[1]}8")
    expected = cv2.cvtColor(pixels, getattr(cv2, f"COLOR_{code}"))
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


def test_sixteen_bits_become_eight_and_back_by_full_scale():
    levels = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    message = BRIDGE.cv2_to_imgmsg(levels, "mono16")
    assert BRIDGE.imgmsg_to_cv2(message, "mono8").tolist() == [[0, 0, 1, 1, 128, 255]]
    narrow = BRIDGE.cv2_to_imgmsg(np.array([[0, 1, 255]], np.uint8), "mono8")
    assert BRIDGE.imgmsg_to_cv2(narrow, "mono16").tolist() == [[0, 257, 65535]]
    wide, pixels = message_of("rgb16")
    found = BRIDGE.imgmsg_to_cv2(wide, "bgr8")
    expected = cv2.convertScaleAbs(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), alpha=255.0 / 65535.0)
    np.testing.assert_array_equal(found, expected)


def test_numbers_without_colour_are_rounded_and_saturated():
    message = BRIDGE.cv2_to_imgmsg(np.array([[-3.0, 1.5, 2.5, 300.0, np.nan]], np.float32))
    assert message.encoding == "32FC1"
    assert BRIDGE.imgmsg_to_cv2(message, "8UC1").tolist() == [[0, 2, 2, 255, 0]]
    assert BRIDGE.imgmsg_to_cv2(message, "64FC1").dtype == np.float64


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"])
def test_every_pixel_type_survives_the_way_there_and_back(dtype, channels):
    image = np.arange(4 * 3 * (channels or 1)).reshape((4, 3) + (() if channels is None else (channels,)))
    message = BRIDGE.cv2_to_imgmsg(image.astype(dtype), header=Header(frame_id="camera"))
    found = BRIDGE.imgmsg_to_cv2(message)
    assert (message.header.frame_id, message.step) == ("camera", image[0].astype(dtype).nbytes)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, image.squeeze(2) if channels == 1 else image)


def test_padding_is_left_out_and_an_unpadded_image_shares_the_message():
    padded = Image(encoding="rgb8", height=2, width=1, step=5, data=bytes([1, 2, 3, 0, 0, 4, 5, 6, 0, 0]))
    assert BRIDGE.imgmsg_to_cv2(padded).tolist() == [[[1, 2, 3]], [[4, 5, 6]]]
    plain = Image(encoding="mono8", height=1, width=2, step=2, data=bytes([7, 8]))
    BRIDGE.imgmsg_to_cv2(plain)[0, 0] = 9
    assert plain.data[0] == 9
    copied = BRIDGE.imgmsg_to_cv2(plain, "mono8")
    copied[0, 0] = 1
    assert plain.data[0] == 9


def test_big_endian_pixels_arrive_in_this_machines_order():
    message = Image(encoding="mono16", height=1, width=2, step=4, is_bigendian=1, data=bytes([1, 0, 0, 2]))
    found = BRIDGE.imgmsg_to_cv2(message)
    assert found.dtype.isnative and found.tolist() == [[256, 2]]
    swapped = BRIDGE.cv2_to_imgmsg(np.array([[256, 2]], ">i4"))
    assert swapped.is_bigendian and BRIDGE.imgmsg_to_cv2(swapped).tolist() == [[256, 2]]


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "png", "bmp", "tiff"])
@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3)])
def test_compressed_images_are_decoded_as_they_were(extension, shape):
    image = np.full(shape, 90, np.uint8)
    message = BRIDGE.cv2_to_compressed_imgmsg(image, extension)
    assert message.format == extension
    np.testing.assert_allclose(BRIDGE.compressed_imgmsg_to_cv2(message), image, atol=2)


def test_a_compressed_image_is_taken_for_bgr():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 200
    message = BRIDGE.cv2_to_compressed_imgmsg(image, "png")
    assert BRIDGE.compressed_imgmsg_to_cv2(message, "rgb8")[0, 0].tolist() == [0, 0, 200]


REFUSED = {
    "Unrecognized image encoding [purple]": ("purple", "mono8"),
    "Unrecognized image encoding [nv21]": ("nv21", "bgr8"),
    "Unsupported conversion from [bayer_rggb8] to [rgba8]": ("bayer_rggb8", "rgba8"),
    "Unsupported conversion from [bayer_rggb8] to [bayer_bggr16]": ("bayer_rggb8", "bayer_bggr16"),
    "Unsupported conversion from [rgb8] to [yuv422]": ("rgb8", "yuv422"),
    "[8UC3] does not name its colours, so it cannot be converted to [bgr8]": ("8UC3", "bgr8"),
    "[rgb8] has 3 channels, [8UC1] has 1": ("rgb8", "8UC1"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_cannot_be_converted_is_refused_with_a_sentence(sentence):
    source, target = REFUSED[sentence]
    message = Image(encoding=source, height=2, width=2, step=16, data=bytes(32))
    with pytest.raises(CvBridgeError) as refusal:
        BRIDGE.imgmsg_to_cv2(message, target)
    assert str(refusal.value) == sentence


def test_wrongly_formed_images_are_refused():
    with pytest.raises(CvBridgeError, match="2 pixels of rgb8 take 6 bytes, step is 5"):
        BRIDGE.imgmsg_to_cv2(Image(encoding="rgb8", height=1, width=2, step=5, data=bytes(5)))
    with pytest.raises(CvBridgeError, match="4294967295 rows of 4294967295 bytes"):
        BRIDGE.imgmsg_to_cv2(Image(encoding="mono8", height=2**32 - 1, width=1, step=2**32 - 1, data=b"1"))
    with pytest.raises(CvBridgeError):
        BRIDGE.imgmsg_to_cv2(Image(encoding="rgb8"), "mono8")
    with pytest.raises(CvBridgeError, match="incompatible type 8UC3"):
        BRIDGE.cv2_to_imgmsg(np.zeros((2, 2, 3), np.uint8), "rgba8")
    with pytest.raises(TypeError, match="expected a numpy array"):
        BRIDGE.cv2_to_imgmsg(1, "rgba8")
    broken = CompressedImage(format="jpg", data=array.array("B", b"not an image"))
    assert BRIDGE.compressed_imgmsg_to_cv2(broken) is None
    with pytest.raises(CvBridgeError, match="12 bytes cannot be decoded"):
        BRIDGE.compressed_imgmsg_to_cv2(broken, "bgr8")
    with pytest.raises(CvBridgeError, match="as nonsense"):
        BRIDGE.cv2_to_compressed_imgmsg(np.zeros((2, 2), np.uint8), "nonsense")


def test_pixel_types_have_opencvs_names():
    assert BRIDGE.encoding_to_dtype_with_channels("bgra16") == ("uint16", 4)
    assert BRIDGE.encoding_to_dtype_with_channels("8UC12") == ("uint8", 12)
    assert BRIDGE.dtype_with_channels_to_cvtype2(np.dtype("float32"), 2) == "32FC2"
