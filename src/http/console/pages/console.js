// Times in the reader's own zone; and what an authenticator says, handed to the form that asked for it. Nothing else happens here.
"use strict";

for (const element of document.querySelectorAll("time")) {
  const at = new Date(element.dateTime);
  if (!Number.isNaN(at.valueOf())) {
    element.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
  }
}

const form = document.querySelector("form[data-passkey]");
const status = document.querySelector("#passkey");

async function answers() {
  const { create, get } = form.dataset;
  if (get) {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(get));
    const assertion = JSON.stringify(await navigator.credentials.get({ publicKey }));
    form.elements[create ? "confirmation" : "answer"].value = assertion;
  }
  if (create) {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(create));
    form.elements.answer.value = JSON.stringify(await navigator.credentials.create({ publicKey }));
  }
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  status.textContent = "Waiting for your authenticator";
  try {
    await answers();
    form.submit();
  } catch (error) {
    status.textContent = error.name === "NotAllowedError"
      ? "The authenticator gave no answer. Nothing was sent; try again."
      : `This browser cannot do it (${error.name}). Nothing was sent.`;
  }
});
