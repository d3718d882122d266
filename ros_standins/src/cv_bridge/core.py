# SPDX-License-Identifier: Apache-2.0
"""CvBridge: sensor_msgs/Image and CompressedImage to OpenCV arrays and back."""

from __future__ import annotations

import array

import cv2
import numpy as np
from cv_bridge.encodings import DEPTHS, CvBridgeError, convert, parse
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header


class CvBridge:
    """Converts image messages to numpy arrays as OpenCV has them, (H, W) or (H, W, C), and back."""

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """Return the name of a pixel type: "8UC3". Raises KeyError for a type that OpenCV has not."""
        names = {name: depth for depth, name in DEPTHS.items()}
        return f"{names[dtype.name]}C{n_channels}"

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """Return the numpy type and the number of channels of an encoding: ("uint8", 3) for "bgr8"."""
        known = parse(encoding)
        return DEPTHS[known.depth], known.channels

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = "passthrough") -> np.ndarray:
        """Return the pixels of an image in this machine's byte order, without padding.

        Of encoding "passthrough", rows without padding share the message's memory.
        Raises CvBridgeError.
        """
        image = self._pixels(img_msg)
        if desired_encoding == "passthrough":
            return image
        return convert(image, img_msg.encoding, desired_encoding)

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = "passthrough"
    ) -> np.ndarray:
        """Return the decoded image; like the original, "passthrough" gives None where that fails.

        With another encoding the file is taken for bgr8. Raises CvBridgeError.
        """
        try:
            image = cv2.imdecode(np.frombuffer(cmprs_img_msg.data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error as error:
            raise CvBridgeError(f"compressed image cannot be decoded: {error}") from error
        if desired_encoding == "passthrough":
            return image
        if image is None:
            raise CvBridgeError(f"compressed image of {len(cmprs_img_msg.data)} bytes cannot be decoded")
        return convert(image, "bgr8", desired_encoding)

    def cv2_to_imgmsg(
        self, cvim: np.ndarray, encoding: str = "passthrough", header: Header | None = None
    ) -> Image:
        """Return the message of an image; "passthrough" names its pixel type, such as 8UC3.

        Raises CvBridgeError where the pixels do not fit the encoding, TypeError for anything but an
        array, KeyError for an array of a type that OpenCV has not.
        """
        _require_array(cvim)
        channels = cvim.shape[2] if cvim.ndim > 2 else 1
        cv_type = self.dtype_with_channels_to_cvtype2(cvim.dtype, channels)
        if encoding != "passthrough":
            known = parse(encoding)
            if f"{known.depth}C{known.channels}" != cv_type:
                raise CvBridgeError(
                    f"encoding specified as {encoding}, but image has incompatible type {cv_type}"
                )
        message = Image(height=cvim.shape[0], width=cvim.shape[1])
        message.header = header or message.header
        message.encoding = cv_type if encoding == "passthrough" else encoding
        message.is_bigendian = int(cvim.dtype.newbyteorder(">") == cvim.dtype and cvim.itemsize > 1)
        message.step = cvim.shape[1] * channels * cvim.itemsize
        message.data = array.array("B", cvim.tobytes())
        return message

    def cv2_to_compressed_imgmsg(self, cvim: np.ndarray, dst_format: str = "jpg") -> CompressedImage:
        """Return the message of an encoded image. Raises CvBridgeError where OpenCV cannot encode it."""
        _require_array(cvim)
        try:
            done, encoded = cv2.imencode(f".{dst_format}", cvim)
        except cv2.error as error:
            raise CvBridgeError(f"image cannot be encoded as {dst_format}: {error}") from error
        if not done:
            raise CvBridgeError(f"image cannot be encoded as {dst_format}")
        return CompressedImage(format=dst_format, data=array.array("B", encoded.tobytes()))

    def _pixels(self, message: Image) -> np.ndarray:
        depth, channels = self.encoding_to_dtype_with_channels(message.encoding)
        dtype = np.dtype(depth).newbyteorder(">" if message.is_bigendian else "<")
        height, width, step = message.height, message.width, message.step
        row = width * channels * dtype.itemsize
        if step < row:
            raise CvBridgeError(
                f"Image is wrongly formed: {width} pixels of {message.encoding} take {row} bytes, "
                f"step is {step}"
            )
        data = np.frombuffer(message.data, np.uint8)
        if data.size < height * step:
            raise CvBridgeError(
                f"Image is wrongly formed: {height} rows of {step} bytes make {height * step} bytes, "
                f"found {data.size}"
            )
        rows = np.ascontiguousarray(data[: height * step].reshape(height, step)[:, :row])
        shape = (height, width) if channels == 1 else (height, width, channels)
        return rows.view(dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _require_array(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray) or image.ndim not in (2, 3):
        raise TypeError(f"expected a numpy array (H, W) or (H, W, C), found {type(image).__name__}")
