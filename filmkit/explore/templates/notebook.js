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
  let turn = 0; // of the last choice that the page was given, and answers by this number
  const give = () => {
    told = "";
    page.postMessage({ value: model.get("value"), turn: ++turn });
  };
  const send = () => {
    if (page && JSON.stringify(model.get("value")) !== told) give();
  };
  // Wherever a notebook moves a cell to, its frame loads again.
  frame.addEventListener("load", () => {
    page?.close();
    const { port1, port2 } = new MessageChannel();
    page = port1;
    page.onmessage = ({ data: { height, value, answers } }) => {
      if (height) frame.style.height = `${height}px`;
      if (!value) return;
      if (answers && answers !== turn) return; // a newer choice is on its way to it
      told = JSON.stringify(value);
      model.set("value", value);
      model.save_changes();
    };
    frame.contentWindow.postMessage(null, "*", [port2]); // a page in a sandbox has no origin to name
    give();
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
