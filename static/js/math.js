// Mathematics: LaTeX source drawn by KaTeX, which builds elements and so needs no inline styles in the page.

const SMALLEST = 0.75; // of the usual size; what is wider still scrolls

/** A little smaller where a line would be cut off at the side; once the letters are there to be measured. */
async function fit(box, target) {
  await document.fonts.ready;
  const ratio = box.clientWidth / box.scrollWidth;
  if (ratio < 1) target.style.fontSize = `${Math.max(SMALLEST, 0.98 * ratio)}em`;
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
  if (window.katex) draw();
  else addEventListener("load", draw, { once: true });
}
