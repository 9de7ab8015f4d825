// Everything that the service reads off the faces of a photo.

import type { FaceDetail } from "@aws-sdk/client-rekognition";
import { useEffect, useState } from "preact/hooks";
import { call } from "../api";
import { count, words } from "../format";
import type { Reply, Request } from "../operations";
import { Busy, Empty, ErrorNote, Heading, Live, useTask } from "../ui/basics";
import { DropZone } from "../ui/dropzone";
import { FaceFacts } from "../ui/face";
import { Photo, type Mark } from "../ui/photo";
import { Snippet } from "../ui/snippet";

export default function Detect() {
  const [file, setFile] = useState<File>();
  const [selected, setSelected] = useState(0);
  const task = useTask<Reply<"DetectFaces">>();
  const request: Request<"DetectFaces"> | undefined = file && { Image: { Bytes: file }, Attributes: ["ALL"] };
  const run = () => request && task.run(() => call("DetectFaces", request));
  useEffect(() => {
    task.reset();
    setSelected(0);
    void run();
  }, [file]);
  const faces = task.value?.FaceDetails ?? [];
  const face = faces[selected];
  const marks = faces.map((detail, index): Mark => ({
    box: detail.BoundingBox,
    landmarks: index === selected ? detail.Landmarks : undefined,
    label: `Face ${index + 1} of ${faces.length}`,
    kind: "kept",
    number: faces.length > 1 ? index + 1 : undefined,
  }));
  return (
    <div class="stack">
      <div>
        <Heading level={1} title="Detect">
          Detect
        </Heading>
        <p class="fine">
          All attributes of every face in a photo. They say how a face looks, not who or what a person is. Nothing is kept.
        </p>
      </div>
      <DropZone label="Drop a photo here" compact={file !== undefined} onFiles={([first]) => first && setFile(first.file)} />
      {task.error && <ErrorNote error={task.error} again={run} />}
      {task.busy && <Busy>Looking</Busy>}
      {!file && (
        <Empty title="No photo yet">
          <p>Drop one, and see age, expression, pose and more of each face, with how sure the service is of it.</p>
        </Empty>
      )}
      {file && (
        <section class="card flush detail" aria-label={`Photo ${file.name}`}>
          <div class="photo-side">
            <Photo file={file} alt={file.name} marks={marks} selected={selected} onSelect={setSelected} />
          </div>
          <div class="fact-side">
            {task.value && (
              <>
                <h2>{faces.length ? count(faces.length, "face") : "No face found"}</h2>
                <Live>{count(faces.length, "face")} found</Live>
                {task.value.OrientationCorrection && task.value.OrientationCorrection !== "ROTATE_0" && (
                  <p class="fine">The photo lies turned: {words(task.value.OrientationCorrection)}.</p>
                )}
              </>
            )}
            {faces.length > 1 && (
              <div class="face-picks" role="group" aria-label="Faces">
                {marks.map(({ label }, index) => (
                  <button
                    key={index}
                    type="button"
                    class="pick"
                    aria-pressed={index === selected}
                    aria-label={label}
                    onClick={() => setSelected(index)}
                  >
                    {index + 1}
                  </button>
                ))}
              </div>
            )}
            {face && (
              <>
                <h3 class="hidden">Face {selected + 1}</h3>
                <p class="summary">{summary(face)}</p>
                <FaceFacts face={face} />
              </>
            )}
          </div>
        </section>
      )}
      {request && <Snippet call={{ operation: "DetectFaces", request }} />}
    </div>
  );
}

/** A face in one sentence. */
function summary({ AgeRange, Gender, Emotions, Smile, Eyeglasses, Sunglasses, Beard, Mustache, EyesOpen }: FaceDetail) {
  const strongest = [...(Emotions ?? [])].sort((a, b) => (b.Confidence ?? 0) - (a.Confidence ?? 0))[0];
  const parts = [
    Gender?.Value && `looks ${Gender.Value.toLowerCase()}`,
    AgeRange && `${AgeRange.Low} to ${AgeRange.High} years old`,
    strongest?.Type && words(strongest.Type),
    Smile?.Value && "smiling",
    Sunglasses?.Value ? "in sunglasses" : Eyeglasses?.Value && "with glasses",
    Beard?.Value && "with a beard",
    Mustache?.Value && "with a mustache",
    EyesOpen?.Value === false && "eyes closed",
  ].filter(Boolean);
  const sentence = parts.join(", ");
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}.`;
}
