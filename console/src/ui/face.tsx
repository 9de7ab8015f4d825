// What is known of a face, in words and small charts.

import type { FaceDetail } from "@aws-sdk/client-rekognition";
import type { ComponentChildren } from "preact";
import { percent, words } from "../format";
import { Bar } from "./basics";

type Judgement = { Value?: boolean | string | undefined; Confidence?: number | undefined } | undefined;

/** The judgements of a face: what is said of a yes, and of a no. */
const TRAITS: [keyof FaceDetail, string, string][] = [
  ["Smile", "Smiling", "Not smiling"],
  ["EyesOpen", "Eyes open", "Eyes closed"],
  ["MouthOpen", "Mouth open", "Mouth closed"],
  ["Eyeglasses", "Eyeglasses", "No eyeglasses"],
  ["Sunglasses", "Sunglasses", "No sunglasses"],
  ["Beard", "Beard", "No beard"],
  ["Mustache", "Mustache", "No mustache"],
  ["FaceOccluded", "Face covered in part", "Face not covered"],
];

/** Everything that the reply has about a face. */
export function FaceFacts({ face }: { face: FaceDetail }) {
  const traits = TRAITS.map(([name, yes, no]) => [face[name] as Judgement, yes, no] as const).filter(([judgement]) => judgement);
  const emotions = [...(face.Emotions ?? [])].sort((a, b) => (b.Confidence ?? 0) - (a.Confidence ?? 0));
  return (
    <div class="facts">
      <Facts title="Face">
        <Fact name="Confidence" value={percent(face.Confidence, 2)}>
          <Bar value={face.Confidence ?? 0} />
        </Fact>
        {face.AgeRange && (
          <Fact name="Age, in years" value={`${face.AgeRange.Low} to ${face.AgeRange.High}`}>
            <Ages low={face.AgeRange.Low ?? 0} high={face.AgeRange.High ?? 0} />
          </Fact>
        )}
        {face.Gender && (
          <Fact name={`Looks ${face.Gender.Value?.toLowerCase()}`} value={percent(face.Gender.Confidence)}>
            <Bar value={face.Gender.Confidence ?? 0} />
          </Fact>
        )}
      </Facts>
      {emotions.length > 0 && (
        <Facts title="Emotions">
          {emotions.map(({ Type, Confidence }) => (
            <Fact key={Type} name={words(Type ?? "")} value={percent(Confidence)}>
              <Bar value={Confidence ?? 0} />
            </Fact>
          ))}
        </Facts>
      )}
      {traits.length > 0 && (
        <Facts title="Traits">
          {traits.map(([judgement, yes, no]) => (
            <Fact key={yes} name={judgement?.Value ? yes : no} value={percent(judgement?.Confidence)}>
              <Bar value={judgement?.Confidence ?? 0} tone={judgement?.Value ? undefined : "plain"} />
            </Fact>
          ))}
        </Facts>
      )}
      {face.Pose && (
        <Facts title="Pose">
          <Angle name="Roll" value={face.Pose.Roll} />
          <Angle name="Yaw" value={face.Pose.Yaw} />
          <Angle name="Pitch" value={face.Pose.Pitch} />
          {face.EyeDirection && <Angle name="Eyes, yaw" value={face.EyeDirection.Yaw} />}
          {face.EyeDirection && <Angle name="Eyes, pitch" value={face.EyeDirection.Pitch} />}
        </Facts>
      )}
      {face.Quality && (
        <Facts title="Quality">
          <Fact name="Brightness" value={(face.Quality.Brightness ?? 0).toFixed(1)}>
            <Bar value={face.Quality.Brightness ?? 0} />
          </Fact>
          <Fact name="Sharpness" value={(face.Quality.Sharpness ?? 0).toFixed(1)}>
            <Bar value={face.Quality.Sharpness ?? 0} />
          </Fact>
        </Facts>
      )}
    </div>
  );
}

function Facts({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section>
      <h4>{title}</h4>
      <dl class="facts-list">{children}</dl>
    </section>
  );
}

function Fact({ name, value, children }: { name: string; value: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {children}
        <span class="value">{value}</span>
      </dd>
    </div>
  );
}

/** A span of years on a scale of a hundred. */
function Ages({ low, high }: { low: number; high: number }) {
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ marginLeft: `${low}%`, width: `${Math.min(100, high) - low}%` }} />
    </span>
  );
}

/** An angle as a needle on a half circle laid flat: -90 to the left, 90 to the right. */
function Angle({ name, value = 0 }: { name: string; value?: number }) {
  const at = Math.max(-90, Math.min(90, value));
  return (
    <Fact name={name} value={`${value.toFixed(1)}\u00b0`}>
      <span class="bar angle" aria-hidden="true">
        <span style={{ left: `${50 + (Math.min(0, at) / 180) * 100}%`, width: `${(Math.abs(at) / 180) * 100}%` }} />
      </span>
    </Fact>
  );
}
