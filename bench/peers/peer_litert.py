"""The classifier in Python: LiteRT with XNNPACK, OpenCV, paho-mqtt. MODEL is a .tflite file with uint8 in and out; the labels,
one per line, are beside it."""
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from camera_and_broker import Broker, arguments, frames

TOP = 5
THRESHOLD = 0.1


def main() -> None:
    options = arguments()
    cv2.setNumThreads(options.threads)
    labels = (Path(options.model).parent / "imagenet_labels.txt").read_text().splitlines()
    interpreter = Interpreter(options.model, num_threads=options.threads)
    interpreter.allocate_tensors()
    (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    _, height, width, _ = image["shape"]
    scale, zero = output["quantization"]
    broker = Broker(options.port, options.topic)
    side = min(options.width, options.height)
    left, top = (options.width - side) // 2, (options.height - side) // 2
    for number, i420 in enumerate(frames(options.frames, options.width, options.height)):
        rgb = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420)
        square = rgb[top:top + side, left:left + side]
        pixels = cv2.resize(square, (width, height), interpolation=cv2.INTER_LINEAR)
        interpreter.set_tensor(image["index"], pixels[np.newaxis])
        interpreter.invoke()
        scores = (interpreter.get_tensor(output["index"])[0].astype(np.float32) - zero) * scale
        best = np.argsort(scores)[-TOP:][::-1]
        broker.publish(number, [{"label": labels[i], "score": round(float(scores[i]), 4)} for i in best
                                if scores[i] >= THRESHOLD])


if __name__ == "__main__":
    main()
