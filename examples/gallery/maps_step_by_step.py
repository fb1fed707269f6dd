"""
A map, step by step
===================

From the last convolution to the overlay, with NumPy and OpenCV only. The steps are those of the
pycaffe port, numbered as in :doc:`/method`; at the end they are held against the project's.
"""

import cv2
import free_pictures
import matplotlib.pyplot as plt
import numpy as np

import cam

model = cam.load()
picture = free_pictures.read("coffee")
result = model.explain(picture, top=1)

# %%
# Steps 1 to 4: the picture is made 256×256, its middle 224×224 goes through the network. What
# comes out are the maps *f_k(x, y)* of the last convolution, 1280 of them, 7×7 values each. Here
# are the eight that weigh most for the best class.

activations = result.output.activations[0]
weights = model.class_weights[result.indices[0]]
print(result.names[0], activations.shape, weights.shape)

heaviest = np.argsort(weights)[::-1][:8]
figure, axes = plt.subplots(1, 8, figsize=(8, 1.4), layout="constrained")
for axis, unit in zip(axes, heaviest, strict=True):
    axis.imshow(activations[unit])
    axis.set_title(f"{unit}: {weights[unit]:.2f}", fontsize=8)
    axis.axis("off")

# %%
# Step 5: their weighted sum is the class activation map. Its mean, and the class's bias, is the
# score that goes into the softmax.

activation_map = np.tensordot(weights, activations, 1)

figure, axis = plt.subplots(figsize=(3, 2.6), layout="constrained")
figure.colorbar(axis.imshow(activation_map), label="evidence")
axis.axis("off")

# %%
# Steps 6 and 7: enlarged over the picture, stretched to [0, 1], coloured.

enlarged = cv2.resize(activation_map.astype(np.float64), (256, 256))
heat = (enlarged - enlarged.min()) / (enlarged.max() - enlarged.min())
colored = cv2.applyColorMap(np.round(255 * heat).astype(np.uint8), cv2.COLORMAP_JET)

# %%
# Step 8: laid over the picture. Beside it is what the project gives.

frame = cv2.resize(picture, (256, 256))


def stretched(values):
    """Return values from 0 to 1."""
    return (values - values.min()) / np.ptp(values)


by_hand = 0.2 * stretched(frame.astype(float)) + 0.7 * stretched(colored.astype(float))
overlay = np.round(255 * by_hand).astype(np.uint8)
free_pictures.show(np.hstack([frame, colored, overlay, result.overlay(0)]))

difference = np.abs(overlay.astype(int) - result.overlay(0)).max()
print("largest difference from the project's overlay:", difference, "of 255")
