import { render } from "preact";
import { App } from "./app";

// A photo that is dropped beside its place would be opened in the stead of the console.
for (const event of ["dragover", "drop"]) addEventListener(event, (dropped) => dropped.preventDefault());

const root = document.getElementById("app");
if (root) render(<App />, root);
