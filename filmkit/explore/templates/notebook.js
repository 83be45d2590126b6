// A frame in a notebook's cell, which holds a picture as widget.html makes it.

/** @param {{ model: any, el: HTMLElement }} given as anywidget has them */
function render({ model, el }) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = model.get("_title");
  frame.style.cssText = "display: block; width: 100%; height: 30rem; border: 0; border-radius: .5rem";
  /** @type {?MessagePort} */
  let page = null;
  let told = ""; // by the page, which need not hear it again
  const send = () => {
    const value = model.get("value");
    if (JSON.stringify(value) !== told) page?.postMessage(value);
  };
  // Wherever a notebook moves a cell to, its frame loads again.
  frame.addEventListener("load", () => {
    page?.close();
    const { port1, port2 } = new MessageChannel();
    page = port1;
    page.onmessage = ({ data: { height, value } }) => {
      if (height) frame.style.height = `${height}px`;
      if (!value) return;
      told = JSON.stringify(value);
      model.set("value", value);
      model.save_changes();
    };
    frame.contentWindow.postMessage(null, "*", [port2]); // a page in a sandbox has no origin to name
    page.postMessage(model.get("value"));
  });
  frame.srcdoc = model.get("_page");
  el.append(frame);
  model.on("change:value", send);
  return () => {
    model.off("change:value", send);
    page?.close();
  };
}

export default { render };
