"""Makes another cut of a video: its frames, or those of several, decoded and encoded again."""

import av


def recut(path, passages, *, rate=None, size=None, crf=28, brightness=1.0):
    """Write the frames of (video, start, end) passages, times in seconds, one after another, without sound.

    They come at ``rate``, or that of the first; each new frame is the old one that is shown then.
    """
    with av.open(str(path), "w") as made:
        stream, n_frames = None, 0
        for video, start, end in passages:
            with av.open(str(video)) as source:
                pictures = source.streams.video[0]
                if stream is None:
                    rate = rate or pictures.average_rate
                    stream = made.add_stream("libx264", rate=rate, options={"crf": str(crf)})
                    stream.width, stream.height = size or (pictures.width, pictures.height)
                    stream.pix_fmt = "yuv420p"
                frames = {frame.time: frame for frame in source.decode(pictures) if start <= frame.time + 1e-6 < end}
                for frame in _at_rate(frames, rate):
                    image = frame.to_ndarray(format="rgb24", width=stream.width, height=stream.height)
                    again = av.VideoFrame.from_ndarray((image * brightness).astype("uint8"), format="rgb24")
                    again.pts, n_frames = n_frames, n_frames + 1
                    made.mux(stream.encode(again))
        made.mux(stream.encode(None))
    return path


def _at_rate(frames, rate):
    times = sorted(frames)
    step = times[1] - times[0]
    for k in range(round((times[-1] + step - times[0]) * rate)):
        yield frames[max(time for time in times if time <= times[0] + k / rate + 1e-6)]
