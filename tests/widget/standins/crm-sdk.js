// STAND-IN for Zoho's ZohoEmbededAppSDK.min.js, which the widget's page loads from Zoho: the same calls and the same
// messages, for the part that the widget uses. As Zoho's own, it takes messages from any frame until the first
// SET_CONTEXT, and `init` gives a promise that nobody should wait for.
var ZOHO = (function () {
  var listeners = {};
  var waiting = {};
  var next = 100;
  var parent = null;
  var serviceOrigin = decodeURIComponent(new URLSearchParams(location.search).get("serviceOrigin"));

  function request(data) {
    var id = "Promise" + next++;
    data.sdkVersion = "stand-in";
    parent.postMessage(
      { type: "SDK.EVENT", eventName: "CRM_EVENT", uniqueID: "1", time: Date.now(), promiseid: id, data: data },
      serviceOrigin,
    );
    return new Promise(function (resolve) {
      waiting[id] = resolve;
    });
  }

  window.addEventListener("message", function (event) {
    var message = event.data;
    if (!message || message.type !== "FRAMEWORK.EVENT") return;
    if (message.eventName === "SET_CONTEXT") parent = event.source;
    else if (event.source !== parent) return;
    else if (message.eventName === "EVENT_RESPONSE") {
      waiting[message.promiseid](message.data);
      delete waiting[message.promiseid];
    } else if (listeners[message.eventName]) listeners[message.eventName](message.data);
  });

  return {
    embeddedApp: {
      on: function (event, listener) {
        listeners[event] = listener;
      },
      init: function () {
        window.top.postMessage({ type: "SDK.EVENT", eventName: "REGISTER" }, serviceOrigin);
        return new Promise(function () {});
      },
    },
    CRM: {
      CONFIG: {
        getCurrentUser: function () {
          return request({ category: "CONFIG", type: "CURRENT_USER" });
        },
      },
      API: {
        getRecord: function (data) {
          return request({ category: "READ", APIData: data });
        },
        updateRecord: function (data) {
          return request({ category: "UPDATE", type: "RECORD", Entity: data.Entity, APIData: data.APIData });
        },
        sendMail: function (data) {
          return request({ category: "MAIL", Entity: data.Entity, RecordID: data.RecordID, APIData: data.APIData });
        },
      },
      CONNECTION: {
        invoke: function (name, data) {
          var inner = {
            url: data.url,
            method: data.method,
            param_type: data.param_type,
            parameters: JSON.stringify(data.parameters),
            headers: JSON.stringify(data.headers),
          };
          return request({ category: "CRM_CONNECTION", connectionName: name, data: { data: inner } });
        },
      },
    },
  };
})();
