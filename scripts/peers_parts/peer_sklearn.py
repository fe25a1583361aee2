"""scikit-learn's MLPClassifier, made to do the same computation: plain gradient descent, one batch of all pictures a step, from given parameters.

Its public interface cannot be told where to start: the method that draws a layer's parameters is overridden. That method
is private, and may go with another version: then this contestant fails its check and is not ranked.
"""

import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from .openblas import kernel_of, loaded

warnings.simplefilter("ignore", ConvergenceWarning)  # it ends by its number of steps, as it is meant to


def facts():
    return {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "blas": " and ".join(kernel_of(path) for path in loaded())}


class Started(MLPClassifier):
    def start_from(self, parameters):
        self._given = iter(parameters)
        return self

    def _init_coef(self, fan_in, fan_out, dtype):
        W, b = next(self._given)
        assert W.shape == (fan_out, fan_in) and W.dtype == dtype
        return W.T.copy(), b[:, 0].copy()


def ready(_way, data, steps):
    X, Y = np.ascontiguousarray(data.X.T), data.Y[0].astype(int)

    def timed():
        classifier = Started(hidden_layer_sizes=[W.shape[0] for W, _ in data.start[:-1]], activation="relu", solver="sgd", alpha=0,
                             batch_size=len(X), learning_rate="constant", learning_rate_init=data.rate, momentum=0, nesterovs_momentum=False,
                             shuffle=False, max_iter=steps, n_iter_no_change=steps + 1, tol=0).start_from(data.start)
        classifier.fit(X, Y)
        return classifier.loss_curve_, [(W.T, b[:, None]) for W, b in zip(classifier.coefs_, classifier.intercepts_)]

    return timed
