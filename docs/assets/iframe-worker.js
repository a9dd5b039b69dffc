// Browsers start no worker from file://, so there the search runs in a hidden frame that behaves like one. The name of
// this file keeps the offline plugin from adding a script of somebody else.
if (location.protocol === "file:") {
  class FrameWorker extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inner = frame.contentWindow;
      // Later, as from a worker: an answer within the call is lost to whoever begins to listen after it.
      this.inner.postMessage = (data) => setTimeout(() => this.dispatchEvent(new MessageEvent("message", { data })));
      this.started = new Promise((resolve, reject) => {
        const script = this.inner.document.createElement("script");
        script.src = new URL(address, location.href).href;
        script.onload = resolve;
        script.onerror = reject;
        this.inner.document.body.append(script);
      });
    }
    postMessage(data) {
      this.started.then(() => this.inner.dispatchEvent(new this.inner.MessageEvent("message", { data })));
    }
    terminate() {}
  }
  window.IFrameWorker = window.Worker = FrameWorker;
}
