// STAND-IN for Zoho's ZohoDeskClientSDK.min.js: the calls of ZOHODESK that the widget uses.
var ZOHODESK = (function () {
  var listeners = {};
  var waiting = {};
  var next = 1;

  function call(name, details) {
    var id = next++;
    window.parent.postMessage({ call: name, id: id, details: details }, "*");
    return new Promise(function (resolve, reject) {
      waiting[id] = { resolve: resolve, reject: reject };
    });
  }

  window.addEventListener("message", function (event) {
    if (event.source !== window.parent) return;
    var message = event.data;
    if (message.event && listeners[message.event]) listeners[message.event](message.data);
    var promise = waiting[message.reply];
    if (promise) promise[message.isOk ? "resolve" : "reject"](message.value);
  });

  return {
    extension: {
      onload: function () {
        return Promise.resolve({
          locale: "en",
          instance: {
            on: function (event, listener) {
              listeners[event] = listener;
            },
          },
        });
      },
    },
    get: function (property) {
      return call("get", property);
    },
    // As Zoho documents it: with responseType, postBody is not considered.
    request: function (request) {
      if (request.responseType) delete request.postBody;
      return call("request", request);
    },
    invoke: function (action, target, value) {
      return call("invoke", { action: action, target: target, value: value });
    },
  };
})();
