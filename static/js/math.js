// Mathematics: LaTeX source drawn by KaTeX, which builds elements and so needs no inline styles in the page.

const SMALLEST = 0.75; // of the usual size; what is wider still scrolls

/** A little smaller where a line would be cut off at the side; once the letters are there to be measured. */
async function fit(box, target) {
  await document.fonts.ready;
  const ratio = box.clientWidth / box.scrollWidth;
  if (ratio < 1) target.style.fontSize = `${Math.max(SMALLEST, 0.98 * ratio)}em`;
}

let loading = null;

/** KaTeX, loaded where there is an equation to draw: three times the rest of the page. */
function library() {
  loading ??= new Promise((done, failed) => {
    const { katexJs, katexCss } = document.body.dataset;
    const sheet = Object.assign(document.createElement("link"), { rel: "stylesheet", href: katexCss });
    const script = Object.assign(document.createElement("script"), { src: katexJs, onload: done, onerror: failed });
    document.head.append(sheet, script);
  });
  return loading;
}

export function drawMath(part) {
  const draw = () => {
    for (const box of part.querySelectorAll("[data-tex]:not([data-drawn])")) {
      const source = box.querySelector("pre");
      if (!source) continue;
      const target = document.createElement("div");
      try {
        katex.render(source.textContent, target, { displayMode: true, throwOnError: true, trust: false, strict: "ignore", maxSize: 50, maxExpand: 2000 });
      } catch {
        continue; // the source stays in view
      }
      box.dataset.drawn = "";
      source.hidden = true;
      box.append(target);
      fit(box, target);
    }
  };
  if (!part.querySelector("[data-tex]:not([data-drawn])")) return;
  library().then(draw, () => {}); // without it the source stays in view
}
