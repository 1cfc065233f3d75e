"""What both Python peers share: frames from a FIFO into one buffer, results to the broker, and an answer to `ping`."""
import argparse
import json
from collections.abc import Iterator

import numpy as np
import paho.mqtt.client as mqtt


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", required=True, help="FIFO of raw I420 frames")
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--height", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--port", type=int, required=True, help="of the broker on 127.0.0.1")
    parser.add_argument("--topic", required=True, help="<topic>/result, <topic>/request/ping, <topic>/response/ping")
    return parser.parse_args()


class Broker:
    """paho's own thread keeps the connection and answers; the main thread publishes."""

    def __init__(self, port: int, topic: str):
        self.topic = topic
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = lambda client, _, message: client.publish(f"{topic}/response/ping", message.payload)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(f"{topic}/request/ping")
        self.client.loop_start()

    def publish(self, frame: int, found: list[dict]) -> None:
        self.client.publish(f"{self.topic}/result", json.dumps({"frame": {"id": frame}, "found": found}))


def frames(path: str, width: int, height: int) -> Iterator[np.ndarray]:
    """Frames as [height * 3 / 2, width], the shape that OpenCV wants I420 in; each overwrites the one before."""
    picture = np.empty((height * 3 // 2, width), np.uint8)
    memory = memoryview(picture).cast("B")
    with open(path, "rb", buffering=0) as source:
        while True:
            filled = 0
            while filled < len(memory):
                count = source.readinto(memory[filled:])
                if not count:
                    return
                filled += count
            yield picture
